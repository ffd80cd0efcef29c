# Что сообщают нам другие системы.
place-feeds = Источники
feeds-title = Что сообщают нам другие системы
feeds-text = Сотрудники, пациенты, рабочие места, записи на приём и распоряжения из отдела кадров и медицинской системы. Они создают и прекращают пропуска и определяют, в какие помещения может войти пациент.
feeds-source = Источник
feeds-search = Название цели или рабочего места
feeds-told = Последнее сообщение
feeds-taken = Последний раз принято { $a }
feeds-rate = Записей: за этот час / за прошлый
feeds-counts = Всего
feeds-added = { $n ->
    [one] { $n } добавлена
    [few] { $n } добавлены
   *[other] { $n } добавлено
}
feeds-changed = { $n ->
    [one] { $n } изменена
    [few] { $n } изменены
   *[other] { $n } изменено
}
feeds-ended = { $n ->
    [one] { $n } прекращена
    [few] { $n } прекращены
   *[other] { $n } прекращено
}
feeds-refused = { $n ->
    [one] { $n } не принята
    [few] { $n } не приняты
   *[other] { $n } не принято
}
feeds-none-title = Пока никто ничего не сообщал
feeds-none-text = Подключите систему в настройках, положите список в её папку или отправьте его через HTTP API.
feeds-hold-title = Полный список источника { $a } ждёт вашего решения
feeds-hold-text = Он прекратил бы больше обычного: { $a }. Ничего из него не принято. Так же выглядит и половина списка: спросите у источника, прежде чем разрешить.
feeds-hold-allow = Разрешить прекращение
feeds-hold-drop = Не принимать
feeds-hold-allowed = Разрешено. Список будет принят, когда источник сообщит его снова.
feeds-problems = Записи, которые не приняты
feeds-problems-none = Приняты все записи
feeds-problems-none-text = Что не удалось принять, перечисляется здесь по месту в списке.
feeds-row = Строка и поле
feeds-differences = Где источники расходятся
feeds-person = Человек
feeds-believed = Расходится ≠ верим
feeds-purposes = Цели визитов
feeds-purpose = Цель
feeds-purposes-none = Целей пока нет
feeds-purposes-none-text = Они приходят с записями на приём или отдельным списком.
feeds-leads = Куда ведёт
feeds-minutes = { $a } минут по плану
feeds-zones = Зоны через ;
feeds-early = Минут до
feeds-late = Минут после
feeds-save = Сохранить
feeds-workplaces = Рабочие места
feeds-workplace = Как называет источник
feeds-workplaces-none = Рабочих мест пока нет
feeds-workplaces-none-text = Здесь перечислены кабинеты и места медицинской системы, чтобы связать их с вашими зонами.
feeds-zone = Наша зона
feeds-staff = { $n ->
    [one] { $n } специалист
    [few] { $n } специалиста
   *[other] { $n } специалистов
}
feeds-by-hand = задано вручную
feeds-ended-one = не используется
feeds-done-allowed = Разрешено. Список будет принят, когда источник сообщит его снова.
feeds-done-dropped = Список не принят.
feeds-done-purpose = Сохранено. Двери узнают об этом за секунды.
feeds-done-workplace = Сохранено. Действует для записей, сообщённых с этого момента.
feeds-wrong-zone = Такой зоны нет. Ничего не сохранено.
feeds-wrong-minutes = Укажите целое число минут, не больше суток (1440). Ничего не сохранено.
feeds-wrong-gone = Это уже решено кем-то или этого больше нет.
feed-kind-staff = Сотрудники
feed-kind-patients = Пациенты
feed-kind-workplaces = Рабочие места
feed-kind-appointments = Записи на приём
feed-kind-purposes = Цели
feed-kind-conditions = Условия
feed-kind-messages = Распоряжения
feed-state-good = в порядке
feed-state-refusing = принято не всё
feed-state-held = ждёт решения
feed-state-failing = не читается
feed-problem-missing = Не заполнено поле.
feed-problem-unreadable = Поле не удалось прочитать.
feed-problem-unknown_field = Неизвестное поле.
feed-problem-too_long = Слишком длинно.
feed-problem-encoding = Текст не в UTF-8.
feed-problem-broken = Список обрезан или это не список.
feed-problem-backwards = Конец раньше начала или позже него больше чем на сутки.
feed-problem-unknown_person = Человек неизвестен.
feed-problem-unknown_zone = Такой зоны нет.
feed-problem-unknown_point = Такого рабочего места нет.
feed-problem-several_persons = Номера принадлежат разным людям.
feed-problem-card_taken = Карта принадлежит другому человеку.
feed-problem-name_taken = Учётная запись или номер врача принадлежит другому человеку.
feed-problem-vault_locked = Хранилище закрыто: имена нельзя сохранить.
feed-problem-erased = Человек стёрт, но о нём всё ещё сообщают.
feed-problem-passport = Имя, дату или контакт нельзя сохранить.
feed-problem-unmerge = Объединение нельзя отменить.
feed-problem-unknown_order = Неизвестное распоряжение.
feed-todo-missing = Заполните его в источнике.
feed-todo-unreadable = Запишите так, как сказано в описании источников.
feed-todo-unknown_field = Уберите его или исправьте название.
feed-todo-too_long = Сократите.
feed-todo-encoding = Сохраните список в UTF-8.
feed-todo-broken = Отправьте список целиком ещё раз.
feed-todo-backwards = Исправьте оба времени.
feed-todo-unknown_person = Сначала сообщите о человеке.
feed-todo-unknown_zone = Исправьте или укажите ниже, какая это зона.
feed-todo-unknown_point = Укажите рабочее место из настроек.
feed-todo-several_persons = Объедините две записи в источнике или исправьте номера.
feed-todo-card_taken = Сначала изымите её у другого человека или исправьте номер.
feed-todo-name_taken = Сначала завершите запись другого человека или исправьте её.
feed-todo-vault_locked = Откройте хранилище. Запись примется, когда её сообщат снова.
feed-todo-erased = Удалите человека в источнике.
feed-todo-passport = Исправьте в источнике.
feed-todo-unmerge = Исправьте вручную: объединённое уже не разделить.
feed-todo-unknown_order = Отправьте одно из распоряжений, перечисленных в описании источников.
