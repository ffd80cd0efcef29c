# Роли: названия, для кого они, почему что-то с ними не сделано.

# Headings of the navigation.
places-more = Ещё
group-post = Пост
group-people = Люди
group-trust = Доверие
group-office = Управление

role-guard = Охранник
role-pass_office = Бюро пропусков
role-contact_centre = Контакт-центр
role-doctor = Врач
role-nurse = Медсестра
role-cashier = Кассир
role-manager = Руководитель
role-auditor = Аудитор
role-privacy_officer = Ответственный за персональные данные
role-integrator = Интегратор
role-administrator = Администратор
role-may-guard = Дежурит на посту: прямой эфир, двери, журнал
role-may-pass_office = Регистрирует людей и выдаёт пропуска
role-may-contact_centre = Отвечает на звонки и находит людей по имени
role-may-doctor = Лечит: видит, кто внутри и кого он лечит
role-may-nurse = Ухаживает: видит, кто внутри и за кем уход
role-may-cashier = Принимает оплату: находит людей по имени
role-may-manager = Смотрит потоки и двери по псевдонимам и выгружает
role-may-auditor = Читает и проверяет журнал аудита
role-may-privacy_officer = Отвечает на запросы о персональных данных и проверяет, кто смотрел
role-may-integrator = Подключает другие системы через HTTP API
role-may-administrator = Всё, в том числе учётные записи и роли

accounts-own = Свои роли никто не меняет. Попросите другого администратора.
accounts-beyond = Это больше ваших собственных прав. Попросите того, у кого они есть.
