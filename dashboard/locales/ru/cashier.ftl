# Страницы кассира.
place-till = Касса
place-till-payments = Платежи
place-till-drawer = Мой ящик
place-till-requests = Запросы
place-till-notices = Неопознанные платежи
place-till-days = Дни и закрытие
cashier-lacking-title = Ваша роль не показывает счета
cashier-lacking-text = Она принимает платежи, но не видит начислений пациентов. Тот, кто ведёт роли, добавит право «видеть, что начислено пациенту, сколько он должен и заплатил».

# Поиск
cashier-find = Пациент
cashier-find-help = Начала имён: «ива оле». Номер карты пациента целиком. Или приложите карту к считывателю.
cashier-none-text = Проверьте написание или попросите карту либо номер карты пациента.
cashier-no-find = Ваша роль не ищет людей. Выберите пациента из списка или приложите карту к считывателю.
cashier-locked = Искать по именам сейчас нельзя: хранилище имён заперто. Возьмите карту или номер карты пациента.
cashier-card-unknown = Эта карта здесь никому не принадлежит. Найдите пациента по имени.
cashier-serial-on = Считыватель подключён. Приложенная карта открывает счёт пациента.
cashier-to-pay = К оплате
cashier-to-pay-none = Платить никому не нужно
cashier-to-pay-none-text = Как только зарегистрирована услуга к оплате, пациент появится здесь.
cashier-day = День
cashier-col-items = Услуг
cashier-col-last = Последняя
cashier-items = { $n ->
    [one] { $n } услуга
    [few] { $n } услуги
   *[other] { $n } услуг
}

# Счёт
cashier-account = Счёт
cashier-no-terms = нет условий оплаты
cashier-slip = Листок пациенту
cashier-statement = Выписка
cashier-next-patient = Следующий пациент
cashier-fact-total = К оплате
cashier-fact-owed = Долг за услуги
cashier-fact-ordered = Заказано, оплата вперёд
cashier-fact-deposit = Депозит
cashier-fact-held = Оплачено, ещё не оказано или возвращается
cashier-limit-own = Лимит постоплаты
cashier-limit-pot = Лимит группы
cashier-left-of = осталось { $left } из { $limit }
cashier-open-items = К оплате
cashier-all-paid = Всё оплачено
cashier-all-paid-text = На этом счёте нет ничего неоплаченного.
cashier-tick = Оплатить
cashier-col-service = Услуга
cashier-col-price = Цена
cashier-of-it-paid = закрыто { $a }
cashier-col-open = Не оплачено
cashier-col-pay = Платит сейчас
cashier-more-items = { $n ->
    [one] Не оплачена ещё { $n } услуга. Она появится, когда часть этих будет оплачена; «оплатить всё» оплатит и её.
    [few] Не оплачены ещё { $n } услуги. Они появятся, когда часть этих будет оплачена; «оплатить всё» оплачивает до 500 сразу.
   *[other] Не оплачено ещё { $n } услуг. Они появятся, когда часть этих будет оплачена; «оплатить всё» оплачивает до 500 сразу.
}
cashier-pay = Оплата
cashier-ticked = Отмечено
cashier-col-method = Способ
cashier-no-cash = Для наличных нужен открытый ящик.
cashier-terminal = Терминал
cashier-by-hand = вручную: вводится номер слипа
cashier-slip-or-reference = Номер слипа или назначение перевода
cashier-received = Получено
cashier-change = Сдача
cashier-keep = Остаток зачислить на депозит
cashier-pay-all = Оплатить всё: { $a }
cashier-pay-ticked = Оплатить отмеченное…
cashier-pay-help = «Оплатить всё» принимает деньги сразу. Отмеченное показывается ещё раз, прежде чем деньги приняты.
cashier-amount = Сумма
cashier-pay-in = Внести на депозит
cashier-pay-in-text = Пациент платит до услуг; на условиях депозита они списываются с него.
cashier-pay-in-go = Внести…
cashier-give-back = Вернуть с депозита
cashier-give-back-text = На депозите: { $a }.
cashier-alone = До { $a } вы возвращаете сами; больше должен разрешить кто-то другой.
cashier-never-alone = Возврат должен разрешить кто-то другой.
cashier-back-how = Как возвращается
cashier-back-to-card = на карту платежа { $no }, терминал { $terminal }: до { $left }
cashier-to-the-card = на карту, которой платили, через её терминал
cashier-back-too-much = На депозите только { $a }.
cashier-write-off = Попросить списать
cashier-write-off-text = Долг не будет оплачен. Это должен разрешить кто-то другой; до того ничего не меняется.
cashier-write-off-all = Пусто: всё, что не оплачено.
cashier-write-off-go = Попросить
cashier-reason = Причина
cashier-words = Своими словами (от 10 до 500 знаков)
cashier-choose = Выберите…
cashier-continue = Дальше…
cashier-waits = Ждёт решения
cashier-paid-orders = Оплачено, ещё не оказано
cashier-lately = Прежние услуги
cashier-no-lately = Прежних услуг нет
cashier-no-lately-text = Здесь стоит оплаченное и отменённое.
cashier-no-payments = Платежей нет
cashier-no-payments-text = Здесь ещё ничего не принято и не возвращено.
cashier-receipt = Чек
cashier-earlier-service = прежняя услуга
cashier-a-payer = группа или договор

# Что сделано
cashier-said-paid = Принято { $amount }, { $method }. Чек { $no }.
cashier-said-refunded = Возвращено { $amount }, { $method }. Чек { $no }.
cashier-said-returned = Отменено { $amount }, { $method }. Чек { $no }.
cashier-done-paid = Оплачено.
cashier-done-paid_in = Внесено.
cashier-done-refunded = Возвращено.
cashier-done-asked = Запрос отправлен. Решает кто-то другой; до того ничего не меняется.
cashier-done-returned = Платёж отменён. То, что он оплачивал, снова не оплачено.
cashier-done-opened = Ваш ящик открыт.
cashier-done-closed = Ящик закрыт.
cashier-done-day_closed = День закрыт.
cashier-done-allowed = Разрешено и сделано.
cashier-done-refused = Отказано.
cashier-done-aside = Отложено.

# Что не так в форме
cashier-amount-bad = Это не сумма. Напишите, например, 1018,00.
cashier-amount-fine = { $n ->
    [0] У этой валюты нет знаков после запятой.
    [one] У этой валюты { $n } знак после запятой.
    [few] У этой валюты { $n } знака после запятой.
   *[other] У этой валюты { $n } знаков после запятой.
}
cashier-amount-large = Эта сумма больше, чем может касса.
cashier-amount-negative = Сумма не бывает меньше нуля.
cashier-amount-missing = Введите сумму.
cashier-no-method = Выберите способ оплаты.
cashier-no-slip = Введите номер слипа терминала или выберите терминал.
cashier-no-reference = Введите назначение перевода.
cashier-no-reason = Выберите причину.
cashier-no-charge = Выберите услугу.
cashier-no-verdict = Выберите, разрешить или отказать.
cashier-nothing-ticked = Отметьте, что оплачивается.
cashier-part-too-much = { $part } больше, чем не оплачено: { $open }.
cashier-received-short = Не хватает { $a }. Возьмите их или оплатите меньше.
cashier-over-not-cash = Сдача бывает только наличными. Зачислите остаток на депозит или исправьте полученную сумму.
cashier-problem-amount = Столько нет: посмотрите, сколько в ящике и на депозите.
cashier-problem-payment = Этот платёж нельзя отменить: его ящик закрыт или в нём нет столько наличных. Отмените услугу и верните деньги.
cashier-problem-notice = С этим сообщением уже всё сделано, или с ним ничего сделать нельзя.
cashier-problem-rest_to_deposit = Остаток нужно зачислить на депозит, или суммы должны сойтись.
cashier-problem-drawer = Дайте ящику имя от 1 до 40 знаков.
cashier-problem-float = Размен в ящике — сумма не меньше нуля.
cashier-problem-counted = Пересчитанное — сумма не меньше нуля.
cashier-problem-card = Сумма слипов не бывает меньше нуля.
cashier-problem-terminal = Такого терминала нет. Выберите другой или введите номер слипа.
cashier-problem-external = В номере слипа или назначении перевода от 1 до 64 букв и цифр без пробелов и без личных данных.
cashier-problem-parts = За один раз оплачивается не больше 500 услуг.
cashier-problem-key = Форма неполная. Откройте страницу заново.
cashier-problem-day = День пока нельзя закрыть.
cashier-problem-method = Этот способ здесь невозможен. Выберите другой.

# Что произойдёт
cashier-back = Назад
cashier-by-cash = наличными
cashier-by-card = картой
cashier-by-transfer = переводом
cashier-by-deposit = с депозита
cashier-sure-take = Принять { $amount } { $how }
cashier-sure-whole = { $no } · { $name }: { $part }, и она оплачена.
cashier-sure-part = { $no } · { $name }: { $part }; остаётся { $left }.
cashier-sure-more = { $n ->
    [one] и ещё { $n }
    [few] и ещё { $n }
   *[other] и ещё { $n }
}
cashier-sure-rest = { $a } зачисляется на депозит.
cashier-sure-terminal = Терминал сразу попросит карту.
cashier-sure-pay-in = Внести { $amount } { $how }
cashier-sure-deposit = На депозите сейчас { $before }, станет { $after }.
cashier-sure-give = Вернуть { $amount } { $how }
cashier-sure-ask = Попросить вернуть { $amount } { $how }
cashier-sure-reason = Причина: { $a }.
cashier-sure-second = Пока ничего не возвращается: это должен разрешить кто-то другой.
cashier-sure-return = Отменить платёж на { $a }
cashier-sure-reopen = { $n ->
    [one] { $n } услуга снова не оплачена.
    [few] { $n } услуги снова не оплачены.
   *[other] { $n } услуг снова не оплачены.
}
cashier-sure-out-of-deposit = { $a } снимается с депозита.
cashier-sure-return-stays = Платёж остаётся в записях; второй говорит, что он отменён.
cashier-sure-assign = Платёж на { $a } — этого пациента

# Платежи
cashier-payment = Платёж
cashier-payment-title = Платёж { $no }
cashier-payment-unnumbered = Платёж без чека
cashier-kind-paid = оплата
cashier-kind-refunded = возврат
cashier-kind-returned = отмена
cashier-payment-waiting = на терминале
cashier-payment-done = принят
cashier-payment-failed = не состоялся
cashier-payment-returned = отменён
cashier-fault-declined = отклонён
cashier-fault-cancelled = прерван
cashier-fault-not_asked = терминал так и не спросили
cashier-fault-broken = терминал не смог
cashier-return-card_reversed = банк отозвал платёж картой
cashier-return-transfer_bounced = перевод вернулся
cashier-return-mistake = ошибка в кассе
cashier-return-service_reversed = платёжная служба отозвала
cashier-return-other = другое
cashier-refund-wish = пациент хочет деньги назад
cashier-refund-service_cancelled = услуга отменена
cashier-refund-overpaid = заплачено лишнее
cashier-refund-other = другое
cashier-write-off-hardship = пациент не может заплатить
cashier-write-off-unreachable = пациента не найти
cashier-write-off-clinic_fault = ошибка клиники
cashier-write-off-small = слишком мало, чтобы требовать
cashier-write-off-other = другое
cashier-col-receipt = Чек
cashier-col-when = Когда
cashier-col-what = Что
cashier-from = С
cashier-until = По
cashier-clear = Показать всё
cashier-by = Кассир
cashier-begun = Начат
cashier-ended = Завершён
cashier-source = Терминал или служба
cashier-external = Номер там
cashier-fault = Почему нет
cashier-paid-items = Что он оплатил
cashier-reverses = Платёж, который этим отменён
cashier-refunds = Платёж, деньги которого возвращаются на карту
cashier-to-account = Счёт пациента
cashier-take-back = Платёж не состоялся: отменить
cashier-take-back-text = Если банк забрал деньги назад или это ошибка. То, что он оплачивал, снова не оплачено.
cashier-at-terminal = Терминал ждёт карту
cashier-at-terminal-text = Страница продолжит сама. Если уйти с неё, ничего не изменится: о платеже спрашивают, пока всё не выяснится.
cashier-break-off = Прервать
cashier-back-at-terminal = Терминал возвращает деньги на карту
cashier-back-at-terminal-text = Сумма отложена с депозита. Страница продолжит сама. Если уйти с неё, ничего не изменится: терминал спрашивают, пока всё не выяснится.
cashier-terminal-silent = Терминал не отвечает. Взяты ли деньги, пока неизвестно; о платеже спрашивают, пока это не выяснится.

# Ящик
cashier-drawer-is-open = Ящик { $a } открыт
cashier-drawer-is-closed = Ящик не открыт
cashier-drawer-go = Открыть ящик
cashier-drawer-open = открыт
cashier-drawer-closed = закрыт
cashier-drawer-taken = Этот ящик уже открыт, или у вас открыт другой. Сначала закройте его или возьмите другой ящик.
cashier-drawer-moved = С тех пор как открыта эта страница, деньги пришли или ушли. Пересчитайте и сравните с тем, что должно быть сейчас.
cashier-drawer-waits = Один платёж ещё ждёт терминала. Прервите его или подождите, потом закройте ящик.
cashier-drawer = Ящик
cashier-drawer-help = Имя, которое на нём написано. У ящика один кассир.
cashier-float = Размен
cashier-float-help = Наличные из сейфа, которые лежат в ящике в начале. Пусто: ничего.
cashier-open-drawer = Открыть ящик
cashier-close-drawer = Закрыть ящик
cashier-close-text = Пересчитанное уходит в сейф. Закрытый ящик снова не открывается; следующая смена начинается с нового.
cashier-cash-expected = Наличных должно быть
cashier-card-expected = По слипам должно быть
cashier-opened = Открыт
cashier-closed = Закрыт
cashier-shift-no = Смена
cashier-by-method = По способам
cashier-col-count = Платежей
cashier-col-taken = Принято
cashier-col-given = Возвращено
cashier-look = Посмотреть
cashier-count-pieces = Пересчитать по купюрам
cashier-counted = Пересчитано
cashier-counted-help = Все наличные в ящике. Пересчитайте, прежде чем смотреть, сколько должно быть.
cashier-slips = Сумма слипов
cashier-slips-help = Из закрытия самого терминала. Пусто, если платежей картой не было.
cashier-difference = Разница
cashier-difference-reason = Почему разница
cashier-no-difference = разницы нет
cashier-difference-change = ошибка при сдаче
cashier-difference-counting = ошибка при пересчёте
cashier-difference-counterfeit = фальшивая купюра или монета
cashier-difference-slips = слипа не хватает или он лишний
cashier-difference-unexplained = никто не знает
cashier-difference-other = другое
cashier-difference-why = Не сходится: наличные { $cash }, карты { $card }. Пересчитайте или выберите причину и объясните своими словами.
cashier-pieces-bad = Число купюр или монет — целое число.
cashier-pieces-differ = Введена сумма { $sum }, а купюр и монет на { $pieces }. Исправьте одно из двух.
cashier-count-first = Сначала пересчитайте наличные: введите сумму или число купюр и монет. Пустой ящик — это 0.
cashier-slips-first = Были платежи картой: введите сумму слипов.
cashier-closing-paper = Акт закрытия
cashier-to-desk = В кассу
cashier-earlier = Мои прежние смены
cashier-all-drawers = Все ящики
cashier-other-drawer = Ящик другого кассира
cashier-no-drawers = Ящиков нет
cashier-no-drawers-text = Как только кассир откроет ящик, он появится здесь.

# Дни
cashier-no-days = Дней нет
cashier-no-days-text = Здесь стоят дни, когда были деньги или услуги.
cashier-day-closed = закрыт
cashier-day-ready = можно закрыть
cashier-day-open = открыт
cashier-day-closed-by = Закрыт { $at }, { $by }. В него больше ничего не записывается.
cashier-day-hindered = День пока нельзя закрыть. Что мешает, стоит ниже.
cashier-day-close = Закрыть { $a }
cashier-day-close-text = Закрытый день остаётся таким навсегда: в него больше ничего не записывается, и он не открывается снова. Всё, что придёт позже, относится к следующему дню.
cashier-empty-day = В этот день ничего не было.
cashier-hinders = Что мешает закрыть
cashier-hinders-future = День ещё не наступил.
cashier-hinders-earlier = { $a } ещё не закрыт.
cashier-hinders-shift = Ящик { $a } открыт.
cashier-hinders-waiting = { $n ->
    [one] { $n } платёж ждёт терминала.
    [few] { $n } платежа ждут терминалов.
   *[other] { $n } платежей ждут терминалов.
}
cashier-col-money = Принято денег
cashier-sum-charges = Зарегистрировано услуг
cashier-sum-cancelled = Отменено
cashier-sum-revenue = Выручка
cashier-sum-discounts = Скидки
cashier-sum-written-off = Списано
cashier-sum-deposit-in = На депозиты
cashier-sum-deposit-out = С депозитов
cashier-sum-difference = Разница наличных
cashier-sum-unpaid = Не оплачено

# Запросы
cashier-request-write_off = списание
cashier-request-refund = возврат денег
cashier-asked-asked = ждёт решения
cashier-asked-allowed = разрешено
cashier-asked-refused = отказано
cashier-request-title = Запрос { $no }
cashier-asked-by = Кто просит
cashier-asked-at = Когда
cashier-decided-by = Кто решил
cashier-decided-at = Решено
cashier-verdict = Решение
cashier-allow-write-off = Разрешить: { $a } сразу списывается.
cashier-allow-refund = Разрешить: { $a } сразу возвращается.
cashier-refuse = Отказать: ничего не меняется.
cashier-decide = Решить
cashier-col-no = №
cashier-no-requests = Запросов нет
cashier-no-requests-text = Списания и возвраты, о которых кто-то просит, стоят здесь, пока не решит кто-то другой.

# Платежи, для которых никого не нашли
cashier-notice = Неопознанный платёж
cashier-notice-kind-paid = деньги пришли
cashier-notice-kind-reversed = отозвано
cashier-notice-done = сделано
cashier-notice-unassigned = пока ничей
cashier-notice-put_aside = отложено
cashier-no-notices = Неопознанных платежей нет
cashier-no-notices-text = Здесь стоят деньги, о которых сообщила платёжная служба и которые никому известному не принадлежат.
cashier-notice-for = Чей
cashier-notice-for-help = Номер карты пациента или псевдоним со счёта. Оплачиваются самые старые услуги; остаток идёт на депозит.
cashier-notice-whom = Введите номер карты пациента или псевдоним.
cashier-notice-nobody = Такого номера ни у кого нет. Проверьте его или найдите пациента в кассе.
cashier-notice-several = Этот номер у нескольких людей. Найдите пациента в кассе и возьмите псевдоним.
cashier-aside = Отложить
cashier-aside-text = Этим занимаются вне кассы, например банк отправил деньги назад.
